"""Every method of the genuine openstacksdk's load balancer proxy: what Ansible, Horizon's dashboard and many scripts drive.
Reads the credentials of both users from the environment (ADMIN_, DEMO_), prints as JSON what was never called."""
import inspect
import json
import os
import time

import openstack
from openstack.exceptions import BadRequestException, ConflictException, HttpException, NotFoundException
from openstack.load_balancer.v2 import _proxy

called = set()


def watched(name, method):
    def call(self, *args, **kwargs):
        called.add(name)
        return method(self, *args, **kwargs)

    return call


methods = {
    name: method
    for name, method in inspect.getmembers(_proxy.Proxy, inspect.isfunction)
    if not name.startswith('_') and method.__module__ == _proxy.__name__
}
for name, method in methods.items():
    setattr(_proxy.Proxy, name, watched(name, method))


def session(user):
    named = {key[len(user) + 1 :]: value for key, value in os.environ.items() if key.startswith(f'{user}_OS_')}
    auth = {
        'auth_url': named['OS_AUTH_URL'],
        'username': named['OS_USERNAME'],
        'password': named['OS_PASSWORD'],
        'project_name': named['OS_PROJECT_NAME'],
        'user_domain_name': 'Default',
        'project_domain_name': 'Default',
    }
    return openstack.connect(auth=auth, region_name=named['OS_REGION_NAME'])


def is_refused(error, call, *args, **kwargs):
    try:
        call(*args, **kwargs)
    except error:
        return
    raise AssertionError(f'{call.__name__} should have been refused')


def only(found, **expected):
    """One object, with these values."""
    (one,) = list(found)
    for name, value in expected.items():
        assert getattr(one, name) == value, (name, getattr(one, name), value)
    return one


demo, admin = session('DEMO'), session('ADMIN')
lbs, rule = demo.load_balancer, admin.load_balancer
subnet = demo.network.find_subnet('private-subnet').id
project = demo.current_project_id

# what administrators offer
profile = rule.create_flavor_profile(
    name='sdk', provider_name='amphora', flavor_data='{"loadbalancer_topology": "SINGLE"}'
)
flavor = rule.create_flavor(name='sdk', flavor_profile_id=profile.id, is_enabled=True)
assert rule.find_flavor_profile('sdk').id == profile.id == rule.get_flavor_profile(profile.id).id
assert lbs.find_flavor('sdk').id == flavor.id == lbs.get_flavor(flavor).id
assert rule.update_flavor(flavor, description='of the sdk').description == 'of the sdk'
only(lbs.flavors(name='sdk'), description='of the sdk')
only(rule.flavor_profiles(name='sdk'), provider_name='amphora')
zone_profile = rule.create_availability_zone_profile(
    name='sdk', provider_name='amphora', availability_zone_data='{"compute_zone": "nova"}'
)
zone = rule.create_availability_zone(name='sdk', availability_zone_profile_id=zone_profile.id, is_enabled=True)
assert rule.find_availability_zone_profile('sdk').id == zone_profile.id
assert rule.get_availability_zone_profile(zone_profile.id).name == 'sdk'
assert lbs.find_availability_zone('sdk').name == 'sdk' == lbs.get_availability_zone('sdk').name
assert rule.update_availability_zone('sdk', description='here').description == 'here'
only(lbs.availability_zones(name='sdk'), description='here')
only(rule.availability_zone_profiles(name='sdk'), provider_name='amphora')
assert {one.name for one in lbs.providers()} >= {'amphora', 'octavia'}
assert 'loadbalancer_topology' in {one.name for one in rule.provider_flavor_capabilities('amphora')}
is_refused(HttpException, lambda: list(lbs.provider_flavor_capabilities('amphora')))

# a load balancer and everything below it
lb = lbs.create_load_balancer(
    name='sdk', vip_subnet_id=subnet, flavor_id=flavor.id, availability_zone='sdk', tags=['blue']
)
assert lb.provisioning_status == 'PENDING_CREATE' and lb.operating_status == 'OFFLINE'
lb = lbs.wait_for_load_balancer(lb.id, interval=0.2, wait=120)
assert lb.provisioning_status == 'ACTIVE' and lbs.find_load_balancer('sdk').id == lb.id
only(lbs.load_balancers(name='sdk', tags=['blue']), vip_address=lb.vip_address)
listener = lbs.create_listener(
    name='sdk', loadbalancer_id=lb.id, protocol='HTTP', protocol_port=80, insert_headers={'X-Forwarded-For': 'true'}
)
is_refused(ConflictException, lbs.create_listener, loadbalancer_id=lb.id, protocol='HTTP', protocol_port=80)
pool = lbs.create_pool(
    name='sdk',
    listener_id=listener.id,
    protocol='HTTP',
    lb_algorithm='ROUND_ROBIN',
    session_persistence={'type': 'APP_COOKIE', 'cookie_name': 'sid'},
)
members = [
    lbs.create_member(pool, name=f'web{n}', address=address, protocol_port=80, subnet_id=subnet)
    for n, address in enumerate(json.loads(os.environ['WEB']), 1)
]
monitor = lbs.create_health_monitor(
    name='sdk', pool_id=pool.id, type='HTTP', delay=1, timeout=1, max_retries=1, url_path='/', expected_codes='200'
)
policy = lbs.create_l7_policy(name='sdk', listener_id=listener.id, action='REJECT')
l7_rule = lbs.create_l7_rule(policy, type='PATH', compare_type='STARTS_WITH', value='/closed')
lbs.wait_for_load_balancer(lb.id, interval=0.2, wait=120)
assert only(lbs.listeners(load_balancer_id=lb.id)).default_pool_id == pool.id
assert lbs.find_listener('sdk').insert_headers == {'X-Forwarded-For': 'true'} == lbs.get_listener(listener).insert_headers
assert only(lbs.pools(name='sdk'), lb_algorithm='ROUND_ROBIN').id == lbs.find_pool('sdk').id == lbs.get_pool(pool).id
assert sorted(one.name for one in lbs.members(pool)) == ['web1', 'web2']
assert lbs.find_member('web1', pool).id == members[0].id == lbs.get_member(members[0], pool).id
assert only(lbs.health_monitors(name='sdk'), expected_codes='200').id == lbs.find_health_monitor('sdk').id
assert lbs.get_health_monitor(monitor).url_path == '/'
assert only(lbs.l7_policies(name='sdk'), action='REJECT').id == lbs.find_l7_policy('sdk').id
assert lbs.get_l7_policy(policy).position == 1
assert only(lbs.l7_rules(policy), rule_value='/closed').id == lbs.find_l7_rule(l7_rule.id, policy).id
assert lbs.get_l7_rule(l7_rule, policy).compare_type == 'STARTS_WITH'

# changes
assert lbs.update_load_balancer(lb, description='d').description == 'd'
assert lbs.update_listener(listener, connection_limit=9).connection_limit == 9
assert lbs.update_pool(pool, lb_algorithm='LEAST_CONNECTIONS').lb_algorithm == 'LEAST_CONNECTIONS'
assert lbs.update_member(members[0], pool, weight=7).weight == 7
assert lbs.update_health_monitor(monitor, delay=2).delay == 2
assert lbs.update_l7_policy(policy, description='d').description == 'd'
assert lbs.update_l7_rule(l7_rule, policy, rule_value='/shut').rule_value == '/shut'
is_refused(BadRequestException, lbs.update_member, members[0], pool, weight=1000)
lbs.wait_for_load_balancer(lb.id, interval=0.2, wait=120)
assert lbs.get_load_balancer_statistics(lb.id).total_connections >= 0
assert lbs.get_listener_statistics(listener.id).bytes_in >= 0

# the operator's side
amphora = only(rule.amphorae(loadbalancer_id=lb.id), status='ALLOCATED')
assert rule.get_amphora(amphora.id).compute_id == rule.find_amphora(amphora.id).compute_id
rule.configure_amphora(amphora.id)
rule.failover_amphora(amphora.id)
lbs.wait_for_load_balancer(lb.id, interval=0.2, wait=120)
rule.failover_load_balancer(lb.id)
lbs.wait_for_load_balancer(lb.id, interval=0.2, wait=120)

# quotas
before = lbs.get_quota(project)
assert before.health_monitors == rule.get_quota_default().health_monitors
assert rule.update_quota(project, load_balancers=50).load_balancers == 50
assert project in {one.project_id or one.id for one in rule.quotas()}
rule.delete_quota(project)
assert lbs.get_quota(project).load_balancers == before.load_balancers

# away with it, from the leaves to the root
for remove, args in [
    (lbs.delete_l7_rule, (l7_rule, policy)),
    (lbs.delete_l7_policy, (policy,)),
    (lbs.delete_health_monitor, (monitor,)),
    (lbs.delete_member, (members[0], pool)),
    (lbs.delete_pool, (pool,)),
    (lbs.delete_listener, (listener,)),
]:
    remove(*args)
lbs.delete_load_balancer(lb)
while lbs.find_load_balancer(lb.id):  # its own wait asks for a field that load balancers do not have
    time.sleep(0.2)
is_refused(NotFoundException, lbs.get_load_balancer, lb.id)
rule.delete_flavor(flavor)
rule.update_flavor_profile(profile, name='sdk-2')
rule.delete_flavor_profile(profile)
rule.delete_availability_zone('sdk')
rule.update_availability_zone_profile(zone_profile, name='sdk-2')
rule.delete_availability_zone_profile(zone_profile)
print(json.dumps(sorted(set(methods) - called)))
